output "network_id" {
  description = "What other modules ask for."
  value       = terraform_data.network.id
}

output "subnets" {
  description = "Each zone's range of addresses."
  value       = { for subnet in terraform_data.subnet : subnet.output.zone => subnet.output.range }
}
