"""What only ENV=local needs: an AWS API in one process, and the containers behind its records. See README.md."""
