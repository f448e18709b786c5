# Renders the dashboard: the rows of charts in dashboard_rows.tf between a row with all alarms and a row with the latest events.
# Each row has a heading and three widgets of 8 columns per line. To add a chart, add it to its row's list.
locals {
  columns       = 3
  widget_width  = 24 / local.columns
  widget_height = 6

  # The lines of each row's charts. A series has the form of the first `try` argument whose attributes it has.
  chart_lines = [for row in local.chart_rows : [for chart in row.charts : try(chart.lines, concat([
    for index, fleet in keys(var.fleets) : [for series in chart.series : try(
      [{ expression = replace(series.expression, "#", index), id = "${series.id}${index}", label = trimspace("${fleet} ${try(series.label, "")}") }],
      concat(local.line[fleet][series.metric], [{ id = "${series.operand}${index}", visible = false }]),
      concat(local.line[fleet][series.metric], [{ label = trimspace("${fleet} ${try(series.label, "")}"), stat = series.stat }]),
      concat(local.line[fleet][series.metric], [{ label = trimspace("${fleet} ${try(series.label, "")}") }]),
    )]
  ]...))]]

  dashboard_rows = concat(
    [{ title = "Alarms of ${var.environment}", widgets = [{ type = "alarm", properties = {
      title = "Alarms"
      alarms = concat(
        [aws_cloudwatch_composite_alarm.this.arn],
        [for key in sort(keys(local.alarm_resources)) : local.alarm_resources[key].arn],
      )
    } }] }],

    # An optional attribute that is not set is omitted from the properties.
    [for index, row in local.chart_rows : { title = row.title, widgets = [for position, chart in row.charts : {
      type = "metric"
      properties = merge(
        {
          metrics = local.chart_lines[index][position]
          period  = 60
          region  = var.region
          stacked = false
          title   = chart.title
          view    = "timeSeries"
          yAxis   = merge({ left = chart.axis }, try({ right = chart.right_axis }, {}))
        },
        try({ stat = chart.stat }, {}),
        try({ annotations = { horizontal = [chart.threshold] } }, {}),
      )
    }] }],

    [{ title = "Scaling, spot and refresh events", widgets = [{ type = "log", properties = {
      title  = "Latest events: time and reason"
      query  = "SOURCE '${aws_cloudwatch_log_group.this["events"].name}' | ${trimspace(local.scaling_query)}"
      region = var.region
      view   = "table"
    } }] }],
  )

  row_heights = [for row in local.dashboard_rows : 1 + ceil(length(row.widgets) / local.columns) * local.widget_height]
  row_tops    = [for index in range(length(local.row_heights)) : sum(concat([0], slice(local.row_heights, 0, index)))]

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
