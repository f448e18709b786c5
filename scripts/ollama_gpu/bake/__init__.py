"""What `playbooks/bake-ami.yml` needs to know: what an image is made of, whether it exists, what was left behind."""
