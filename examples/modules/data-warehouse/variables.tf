variable "module_description" {
  description = "What this module does."
  type        = string
  default     = "A warehouse for analysis: storage, a schedule of loads, and a login for each analyst."
}

variable "module_documentation" {
  description = "Where to read more."
  type        = string
  default     = "https://www.postgresql.org/docs/current/ddl.html"
}

variable "module_services" {
  description = "What it is made of."
  type        = list(string)
  default     = ["warehouse", "scheduler"]
}

variable "module_dependency" {
  description = "What should be there before."
  type        = list(string)
  default     = ["starter-network"]
}

variable "credit_cost" {
  description = "What a deployment costs."
  type        = number
  default     = 60
}

variable "require_credit_purchases" {
  description = "Whether it must be paid with purchased credits."
  type        = bool
  default     = false
}

variable "public_access" {
  description = "Whether everybody may see it."
  type        = bool
  default     = true
}

variable "location" {
  description = "Where the data is kept. {{UIMeta group=1 order=1 options=eu,us }}"
  type        = string
  default     = "eu"
}

variable "load_hours" {
  description = "Hours of the day at which new data is loaded. {{UIMeta group=1 order=2 updatesafe }}"
  type        = list(number)
  default     = [3]
}

variable "analysts" {
  description = "Who may query it. {{UIMeta group=2 order=1 updatesafe }}"
  type        = set(string)
  default     = []
}

variable "internal_label" {
  description = "A label for the platform's own bookkeeping. {{UIMeta group=0 order=1 }}"
  type        = string
  default     = "warehouse"
}
