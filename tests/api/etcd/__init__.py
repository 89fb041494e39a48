"""Tests of etcd's API on the admin port."""
