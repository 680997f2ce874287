terraform {
  required_version = ">= 1.5"
}

resource "terraform_data" "server" {
  input = {
    version = var.postgres_version
    size    = var.size
  }
}

resource "terraform_data" "database" {
  for_each = var.databases
  input    = { name = each.key, server = terraform_data.server.id }
}

resource "terraform_data" "administrator" {
  input = { password_digest = sha256(var.administrator_password) }
}
