"""Acting for proxies elsewhere: workers that share service clusters by lease."""
