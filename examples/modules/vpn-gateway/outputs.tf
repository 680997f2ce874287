output "gateway_id" {
  description = "The gateway's id."
  value       = terraform_data.gateway.id
}
