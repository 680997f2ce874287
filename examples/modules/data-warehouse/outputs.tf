output "address" {
  description = "Where to query."
  value       = "${var.location}.${substr(terraform_data.warehouse.id, 0, 8)}.warehouse.internal"
}
