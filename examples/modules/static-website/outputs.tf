output "url" {
  description = "Where the website is."
  value       = "https://${terraform_data.certificate.output.domain}/"
}

output "bucket" {
  description = "Where to upload its files."
  value       = "${terraform_data.bucket.output.region}/${terraform_data.bucket.output.name}"
}

output "deploy_token" {
  description = "What uploads are signed with."
  value       = local.token
  sensitive   = true
}
