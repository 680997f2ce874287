terraform {
  required_version = ">= 1.5"
}

resource "terraform_data" "control_plane" {
  input = { window = var.maintenance_window }
}

resource "terraform_data" "node" {
  count = var.nodes
  input = { cluster = terraform_data.control_plane.id, number = count.index }

  # Terraform begins with all of them at once; each waits for those before it.
  provisioner "local-exec" {
    command = "sleep \"$WAIT\"; echo \"node $NUMBER is starting\"; sleep \"$STARTING\"; echo \"node $NUMBER is ready\""
    environment = {
      NUMBER   = count.index
      STARTING = var.seconds_per_node
      WAIT     = var.seconds_per_node * count.index
    }
  }
}

resource "terraform_data" "pool" {
  for_each = { for pool in var.pools : pool.name => pool.labels }
  input    = { name = each.key, labels = each.value }
}
