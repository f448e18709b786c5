locals {
  # The data that an instance needs to find everything else. It contains no secret and nothing that changes by itself: an instance
  # of an older template version, launched by a rollback or during a rollout, converges to the release of that version.
  instance = merge(local.given, {
    artifact_bucket     = var.artifact_bucket
    collection_key      = var.contract.artifacts.collection
    collection_sha256   = var.collection_sha256
    drain_seconds       = var.settings.drain_seconds
    environment         = var.environment
    fleet               = var.key
    group               = var.name
    launch_wait_seconds = var.settings.launch_wait_seconds
    lifecycle_hooks     = var.contract.lifecycle_hooks
    parameters          = { for key, name in var.parameters : key => name if key != "image" }
    region              = var.region
    release             = var.release
  })
  # Unset values are omitted: the boot program checks which keys exist.
  given = { for key, value in { endpoint_url = var.instance.endpoint_url, variables = var.instance.variables } : key => value if value != null && value != {} }

  user_data = templatefile("${path.module}/user_data.sh.tftpl", {
    boot     = var.contract.boot
    instance = jsonencode(local.instance)
    # The file that the role boot puts into a baked image. Compressed, because EC2 limits user data to 16 KB.
    program = base64gzip(file("${path.module}/../../../ansible_collections/ollama/gpu/roles/boot/files/ollama-gpu-boot"))
  })
}
