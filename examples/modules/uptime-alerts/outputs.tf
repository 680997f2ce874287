output "checks" {
  description = "How many addresses are checked."
  value       = length(terraform_data.check)
}
