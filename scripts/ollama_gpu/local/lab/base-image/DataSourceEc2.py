"""cloud-init's own data source of EC2, told where it is: it knows EC2 by the firmware, and a container has none.

Without that it would ask the metadata service by version 1, without a token.
"""

from cloudinit import sources
from cloudinit.sources import DataSourceEc2 as ec2


class DataSourceEc2Lab(ec2.DataSourceEc2):
    def _get_cloud_name(self):
        return ec2.CloudNames.AWS


def get_datasource_list(depends):
    wanted = [(DataSourceEc2Lab, (sources.DEP_FILESYSTEM, sources.DEP_NETWORK))]
    return sources.list_from_depends(depends, wanted)
