"""The extension for HAProxy: files and runtime commands made from one value (`routes`), all of it pure."""
