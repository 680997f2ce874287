variable "zones" {
  description = "A subnet is made in each of these, in this order."
  type        = list(string)
  default     = ["a", "b"]

  validation {
    condition     = length(var.zones) > 0 && length(var.zones) <= 8
    error_message = "Between one and eight zones."
  }
}

variable "address_range" {
  description = "The network's addresses, as a CIDR block."
  type        = string
  default     = "10.20.0.0/16"

  validation {
    condition     = can(cidrhost(var.address_range, 0))
    error_message = "This is no CIDR block, such as 10.20.0.0/16."
  }
}
