output "address" {
  description = "Where the queue listens."
  value       = "${substr(terraform_data.queue.id, 0, 8)}.queues.internal:4222"
}

output "keys" {
  description = "Each application's key."
  value       = { for name, key in terraform_data.key : name => sha256(key.id) }
  sensitive   = true
}
