output "host" {
  description = "Where the server listens."
  value       = "${substr(terraform_data.server.id, 0, 8)}.postgres.internal"
}

output "connection_strings" {
  description = "One for each database."
  value       = { for name in var.databases : name => "postgresql://administrator:${var.administrator_password}@${substr(terraform_data.server.id, 0, 8)}.postgres.internal/${name}" }
  sensitive   = true
}
