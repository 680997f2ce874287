variable "nodes" {
  description = "How many nodes the first pool has."
  type        = number
  default     = 3

  validation {
    condition     = var.nodes >= 1 && var.nodes <= 10 && floor(var.nodes) == var.nodes
    error_message = "Between 1 and 10 nodes."
  }
}

variable "seconds_per_node" {
  description = "How long a node takes to come up."
  type        = number
  default     = 1

  validation {
    condition     = var.seconds_per_node >= 0 && var.seconds_per_node <= 60
    error_message = "A node comes up within a minute."
  }
}

variable "pools" {
  description = "Further pools of nodes: a name, and what its nodes are for."
  type        = list(object({ name = string, labels = optional(map(string), {}) }))
  default     = []
}

variable "maintenance_window" {
  description = "First and last hour of the day, in UTC, in which nodes may be replaced."
  type        = tuple([number, number])
  default     = [2, 5]
}
