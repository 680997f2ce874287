variable "title" {
  type        = string
  description = "What it is called."

  validation {
    condition     = length(var.title) >= 3
    error_message = "At least three characters."
  }
}

variable "code" {
  type        = string
  description = "Looks like a number, and is a text."
  default     = "007"
}

variable "note" {
  type        = string
  description = "A text of many lines, or none."
  default     = null
}

variable "region" {
  type        = string
  description = "Where it runs."
}

variable "secret" {
  type        = string
  description = "Nobody sees it again."
  sensitive   = true
}

variable "replicas" {
  type        = number
  description = "How many there are."
}

variable "share" {
  type        = number
  description = "Not a whole number."
  default     = 0.1
}

variable "enabled" {
  type        = bool
  description = "Whether it begins at once."
  default     = true
}

variable "public" {
  type        = bool
  description = "Whether everybody may see it."
  default     = null
}

variable "window" {
  type        = tuple([number, string])
  description = "An hour, and a day."
  default     = [2, "sunday"]
}

variable "zones" {
  type        = list(string)
  description = "In this order."
  default     = ["a", "b"]
}

variable "ports" {
  type        = set(number)
  description = "In no order."
  default     = []
}

variable "labels" {
  type        = map(string)
  description = "By key."
  default     = {}
}

variable "owner" {
  type        = object({ name = string, mail = optional(string), alerts = optional(bool, true) })
  description = "Who answers for it."
}

variable "pools" {
  type        = list(object({ name = string, size = number, tags = optional(map(string), {}) }))
  description = "Its parts."
  default     = []
}

variable "rules" {
  type        = map(list(map(list(string))))
  description = "Nested too deep for fields."
  default     = {}
}

variable "extra" {
  type        = any
  description = "Anything."
  default     = null
}
