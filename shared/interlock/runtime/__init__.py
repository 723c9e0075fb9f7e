"""What every service's process needs: settings, logging, metrics, lifecycle, retry, programs and where to find them."""
