locals {
  # The one description of a build; the trigger says it to Google in its own words.
  build = yamldecode(file("${path.module}/cloudbuild.yaml"))
}

# What the deployer asks by, and what Cloud Build answers by.

resource "google_pubsub_topic" "builds" {
  name = "tollgate-builds"
}

resource "google_pubsub_topic" "cloud_builds" {
  # Cloud Build tells of every build on the topic of this name, where there is one.
  name = "cloud-builds"
}

resource "google_pubsub_subscription" "cloud_builds" {
  name                       = "tollgate-cloud-builds"
  topic                      = google_pubsub_topic.cloud_builds.id
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = ""
  }
}

# The key that opens orders. Its value is put in by hand, so that it is in no state.

resource "google_secret_manager_secret" "runner_key" {
  secret_id = "tollgate-runner-key"

  replication {
    auto {}
  }
}

# Who builds run as, with what modules may do and nothing of Tollgate's but the key.

resource "google_service_account" "runner" {
  account_id   = "tollgate-runner"
  display_name = "Runs Tollgate's builds"
}

resource "google_secret_manager_secret_iam_member" "runner_opens_orders" {
  secret_id = google_secret_manager_secret.runner_key.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.runner.member
}

resource "google_project_iam_member" "runner_writes_logs" {
  project = var.project
  role    = "roles/logging.logWriter"
  member  = google_service_account.runner.member
}

resource "google_project_iam_member" "runner" {
  for_each = var.runner_roles

  project = var.project
  role    = each.value
  member  = google_service_account.runner.member
}

# What the deployer may do: ask, listen, look and cancel.

resource "google_pubsub_topic_iam_member" "deployer_asks" {
  topic  = google_pubsub_topic.builds.id
  role   = "roles/pubsub.publisher"
  member = var.deployer
}

resource "google_pubsub_subscription_iam_member" "deployer_listens" {
  subscription = google_pubsub_subscription.cloud_builds.id
  role         = "roles/pubsub.subscriber"
  member       = var.deployer
}

resource "google_project_iam_custom_role" "deployer" {
  role_id     = "tollgateDeployer"
  title       = "Tollgate's deployer"
  permissions = ["cloudbuild.builds.get", "cloudbuild.builds.list", "cloudbuild.builds.update"]
}

resource "google_project_iam_member" "deployer_looks_and_cancels" {
  project = var.project
  role    = google_project_iam_custom_role.deployer.id
  member  = var.deployer
}

# A message on the topic makes a build.

resource "google_cloudbuild_trigger" "builds" {
  name            = "tollgate-builds"
  location        = var.region
  service_account = google_service_account.runner.id

  pubsub_config {
    topic = google_pubsub_topic.builds.id
  }

  substitutions = {
    _BUILD_ID      = "$(body.message.data.buildId)"
    _ATTEMPT       = "$(body.message.data.attempt)"
    _REPO_URL      = "$(body.message.data.repoUrl)"
    _COMMIT        = "$(body.message.data.commit)"
    _SOURCE_URL    = "$(body.message.data.sourceUrl)"
    _SOURCE_DIGEST = "$(body.message.data.sourceDigest)"
    _VARIABLES     = "$(body.message.data.variables)"
    _ORDER         = "$(body.message.data.order)"
    _RUNNER_IMAGE  = var.runner_image
  }

  build {
    timeout   = local.build.timeout
    queue_ttl = local.build.queueTtl

    dynamic "step" {
      for_each = local.build.steps
      content {
        id         = step.value.id
        name       = step.value.name
        entrypoint = step.value.entrypoint
        args       = step.value.args
        env        = step.value.env
        secret_env = step.value.secretEnv
      }
    }

    dynamic "available_secrets" {
      for_each = [local.build.availableSecrets]
      content {
        dynamic "secret_manager" {
          for_each = available_secrets.value.secretManager
          content {
            version_name = secret_manager.value.versionName
            env          = secret_manager.value.env
          }
        }
      }
    }

    options {
      logging = local.build.options.logging
      # Not every substitution stands in the steps: some only tell people what a build is of.
      substitution_option = "ALLOW_LOOSE"
    }
  }
}
