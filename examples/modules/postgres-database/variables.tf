variable "postgres_version" {
  description = "PostgreSQL's major version."
  type        = number
  default     = 18
}

variable "size" {
  description = "Processors, memory and disk. The standby has the same."
  type = object({
    processors = number
    memory_gb  = optional(number, 4)
    disk_gb    = optional(number, 20)
    standby    = optional(bool, false)
  })
  default = { processors = 2 }

  validation {
    condition     = var.size.processors >= 1 && var.size.processors <= 64
    error_message = "Between 1 and 64 processors."
  }
}

variable "databases" {
  description = "Databases to create, each of a name of its own."
  type        = set(string)
  default     = ["app"]

  validation {
    condition     = length(var.databases) >= 1 && length(var.databases) <= 20
    error_message = "Between 1 and 20 databases."
  }
}

variable "administrator_password" {
  description = "The administrator's password, 12 characters or more."
  type        = string
  sensitive   = true

  validation {
    condition     = length(var.administrator_password) >= 12
    error_message = "The password needs at least 12 characters."
  }
}
