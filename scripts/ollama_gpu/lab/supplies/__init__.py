"""What the lab serves in the place of public addresses, one module each: made once, kept by what it is made from."""
