terraform {
  required_version = ">= 1.5"
}

resource "terraform_data" "network" {
  input = { range = var.address_range }
}

resource "terraform_data" "subnet" {
  count = length(var.zones)
  input = {
    network = terraform_data.network.id
    zone    = var.zones[count.index]
    range   = cidrsubnet(var.address_range, 8, count.index)
  }
}
