variable "topics" {
  description = "Each topic, and for how many days its messages are kept."
  type        = map(number)
  default     = { orders = 7 }

  validation {
    condition     = length(var.topics) > 0
    error_message = "A queue needs a topic."
  }
}

variable "durability" {
  description = "What a message survives."
  type        = string
  default     = "disk"
}

variable "applications" {
  description = "Who may publish and read, each with a key of its own."
  type        = set(string)
  default     = []
}
