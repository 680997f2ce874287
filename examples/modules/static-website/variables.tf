variable "domain" {
  description = "The name people type, such as www.example.com."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+([.][a-z0-9-]+)+$", var.domain))
    error_message = "The domain must be a full name in lower case, such as www.example.com."
  }
}

variable "region" {
  description = "Where the files are kept."
  type        = string
  default     = "europe-west1"
}

variable "cache_minutes" {
  description = "How long the network may keep a page before it asks again."
  type        = number
  default     = 60

  validation {
    condition     = var.cache_minutes >= 1 && var.cache_minutes <= 1440
    error_message = "Pages can be kept between one minute and a day."
  }
}

variable "redirects" {
  description = "Old paths and where they lead now."
  type        = map(string)
  default     = {}
}

variable "deploy_token" {
  description = "What your pipeline signs its uploads with. Leave empty to have one made."
  type        = string
  default     = ""
  sensitive   = true
}
