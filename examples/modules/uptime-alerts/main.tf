terraform {
  required_version = ">= 1.5"
}

resource "terraform_data" "check" {
  for_each = toset(var.addresses)
  input    = { address = each.key, tell = var.tell }
}
