variable "peer_address" {
  description = "The other end's public address."
  type        = string
  default     = "203.0.113.7"

  validation {
    condition     = can(regex("^[0-9a-fA-F.:]{3,45}$", var.peer_address))
    error_message = "The other end is an IPv4 or IPv6 address, such as 203.0.113.7."
  }
}

variable "shared_secret" {
  description = "Both ends know it. Leave it out to have one made."
  type        = string
  default     = null
  nullable    = true
  sensitive   = true
}

variable "peer_answers" {
  description = "Whether the other end is up. Where it is not, the check fails after the gateway was made."
  type        = bool
  default     = false
}
