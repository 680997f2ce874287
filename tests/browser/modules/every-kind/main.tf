resource "terraform_data" "all" {
  input = {
    title = var.title, code = var.code, note = var.note, region = var.region, replicas = var.replicas,
    share = var.share, enabled = var.enabled, public = var.public, window = var.window, zones = var.zones,
    ports = var.ports, labels = var.labels, owner = var.owner, pools = var.pools, rules = var.rules,
    extra = var.extra
  }
}

output "title" {
  description = "What it is called."
  value       = terraform_data.all.output.title
}

output "secret_length" {
  description = "How long the secret is."
  value       = nonsensitive(length(var.secret))
}
