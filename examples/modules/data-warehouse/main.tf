terraform {
  required_version = ">= 1.5"
}

resource "terraform_data" "warehouse" {
  input = { location = var.location, label = var.internal_label }
}

resource "terraform_data" "load" {
  for_each = toset([for hour in var.load_hours : tostring(hour)])
  input    = { hour = tonumber(each.key) }
}

resource "terraform_data" "analyst" {
  for_each = var.analysts
  input    = { name = each.key }
}
