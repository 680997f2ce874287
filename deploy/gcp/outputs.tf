output "settings" {
  description = "What the deployer is to be told, beside TOLLGATE_BUILDS_URL and the public key."
  value = {
    TOLLGATE_EXECUTOR                 = "cloud_build"
    TOLLGATE_GOOGLE_PROJECT           = var.project
    TOLLGATE_CLOUD_BUILD_REGION       = var.region
    TOLLGATE_CLOUD_BUILD_TOPIC        = google_pubsub_topic.builds.name
    TOLLGATE_CLOUD_BUILD_SUBSCRIPTION = google_pubsub_subscription.cloud_builds.name
  }
}

output "runner" {
  description = "The service account that modules run as."
  value       = google_service_account.runner.email
}
