terraform {
  required_version = ">= 1.5"
}

locals {
  bucket = replace(var.domain, ".", "-")
  token  = var.deploy_token != "" ? var.deploy_token : sha256("${var.domain}/${terraform_data.bucket.id}")
}

resource "terraform_data" "bucket" {
  input = {
    name   = local.bucket
    region = var.region
  }
}

resource "terraform_data" "network" {
  input = {
    origin        = terraform_data.bucket.output.name
    cache_seconds = var.cache_minutes * 60
    redirects     = var.redirects
  }
}

resource "terraform_data" "certificate" {
  input            = { domain = var.domain }
  triggers_replace = [var.domain]
}
