# Plans the example in the README.
mock_provider "aws" {
  source          = "../../tests/mocks"
  override_during = plan
}

run "the_example_in_the_readme_plans" {
  command   = plan
  providers = { aws = aws }

  module {
    source = "./examples/minimal"
  }
}
