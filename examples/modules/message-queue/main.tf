terraform {
  required_version = ">= 1.5"
}

resource "terraform_data" "queue" {
  input = { durability = var.durability }
}

resource "terraform_data" "topic" {
  for_each = var.topics
  input    = { name = each.key, days = each.value }
}

resource "terraform_data" "key" {
  for_each = var.applications
  input    = { application = each.key }
}
