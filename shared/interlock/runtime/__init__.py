"""What every service's process needs: settings, logging, metrics, lifecycle, programs and where to find them."""
