"""What an environment costs a month, from its variables and a dated table of prices."""
