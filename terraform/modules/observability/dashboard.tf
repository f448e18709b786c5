# The dashboard as code: what stands in it is in dashboard_rows.tf, this file only lays it out. Three widgets of 8 columns a line, a
# heading above each row, so that a row grows by adding a widget to its list.
locals {
  columns       = 3
  widget_width  = 24 / local.columns
  widget_height = 6

  row_heights = [for row in local.dashboard_rows : 1 + ceil(length(row.widgets) / local.columns) * local.widget_height]
  row_tops    = [for index in range(length(local.dashboard_rows)) : sum(concat([0], slice(local.row_heights, 0, index)))]

  headings = [for index, row in local.dashboard_rows : {
    type       = "text"
    x          = 0
    y          = local.row_tops[index]
    width      = 24
    height     = 1
    properties = { markdown = "## ${row.title}" }
  }]

  widgets = flatten([for index, row in local.dashboard_rows : [for position, widget in row.widgets : {
    type       = widget.type
    x          = (position % local.columns) * local.widget_width
    y          = local.row_tops[index] + 1 + floor(position / local.columns) * local.widget_height
    width      = length(row.widgets) == 1 ? 24 : local.widget_width
    height     = local.widget_height
    properties = widget.properties
  }]])
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  dashboard_body = jsonencode({ widgets = concat(local.headings, local.widgets) })
}
