"""What a platform of many services costs: each of Kubernetes, Consul and lists of machines, with 5,000 services of ten
endpoints; beside each, in the same run, a client that only watches.
"""
