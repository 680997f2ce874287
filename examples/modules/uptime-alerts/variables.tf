variable "addresses" {
  description = "What to check."
  type        = list(string)

  validation {
    condition     = length(var.addresses) > 0 && length(var.addresses) <= 50
    error_message = "Between one and fifty addresses."
  }
}

variable "tell" {
  description = "Who is told, and from how many failures on."
  type = object({
    email    = string
    failures = optional(number, 2)
  })
  default = { email = "operations@example.com" }
}
