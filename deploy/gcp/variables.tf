variable "project" {
  description = "The project that builds run in."
  type        = string
}

variable "region" {
  description = "The region of the builds, or global."
  type        = string
  default     = "global"
}

variable "runner_image" {
  description = "Tollgate's image with Terraform in it, by digest: europe-docker.pkg.dev/…@sha256:…"
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.runner_image))
    error_message = "Name the image by its digest, so that what runs is what was checked."
  }
}

variable "deployer" {
  description = "Who the deployer is in Google Cloud: serviceAccount:…, or a workload identity principal."
  type        = string
}

variable "runner_roles" {
  description = "What modules may do in the project: the roles of the service account they run as."
  type        = set(string)
  default     = []
}
