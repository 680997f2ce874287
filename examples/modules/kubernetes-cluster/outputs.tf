output "endpoint" {
  description = "Where the control plane listens."
  value       = "https://${substr(terraform_data.control_plane.id, 0, 8)}.clusters.internal"
}

output "nodes" {
  description = "How many nodes are ready."
  value       = length(terraform_data.node)
}
