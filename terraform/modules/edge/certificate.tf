locals {
  makes_certificate = var.settings.certificate_arn == null

  # The ARN comes from the validation, so that the listener waits until the certificate is issued.
  certificate_arn = local.makes_certificate ? aws_acm_certificate_validation.this[0].certificate_arn : var.settings.certificate_arn

  # One domain name needs one validation record. for_each over the options does not work: their number is unknown until the
  # certificate exists.
  validation = local.makes_certificate ? one(aws_acm_certificate.this[0].domain_validation_options) : null
}

resource "aws_acm_certificate" "this" {
  count = local.makes_certificate ? 1 : 0

  domain_name       = var.settings.domain.name
  validation_method = "DNS"

  lifecycle {
    create_before_destroy = true # the listener needs a certificate at all times
  }
}

resource "aws_route53_record" "validation" {
  count = local.makes_certificate ? 1 : 0

  zone_id         = data.aws_route53_zone.this[0].zone_id
  name            = local.validation.resource_record_name
  type            = local.validation.resource_record_type
  records         = [local.validation.resource_record_value]
  ttl             = 300
  allow_overwrite = true # the record depends only on account and name: a certificate that was created manually leaves the same one
}

resource "aws_acm_certificate_validation" "this" {
  count = local.makes_certificate ? 1 : 0

  certificate_arn         = aws_acm_certificate.this[0].arn
  validation_record_fqdns = [aws_route53_record.validation[0].fqdn]

  timeouts {
    create = "20m" # usually takes minutes; if the zone is not delegated, it would never finish
  }
}
