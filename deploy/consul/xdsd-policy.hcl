# What xdsd may do in Consul: read which services there are, and on which nodes they run.
#
#   consul acl policy create -name xdsd -rules @xdsd-policy.hcl
#   consul acl token create -policy-name xdsd
#
# With a narrower policy xdsd serves what it may read; let it read the service consul in any case, for a catalog
# without Consul itself is taken for one that may not be read at all.
service_prefix "" {
  policy = "read"
}

node_prefix "" {
  policy = "read"
}
