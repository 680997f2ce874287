terraform {
  required_version = ">= 1.5"
}

resource "terraform_data" "control_plane" {
  input = { window = var.maintenance_window }
}

resource "terraform_data" "node" {
  count = var.nodes
  input = { cluster = terraform_data.control_plane.id, number = count.index }

  provisioner "local-exec" {
    command = "echo node ${count.index} is starting; sleep ${var.seconds_per_node}; echo node ${count.index} is ready"
  }
}

resource "terraform_data" "pool" {
  for_each = { for pool in var.pools : pool.name => pool.labels }
  input    = { name = each.key, labels = each.value }
}
