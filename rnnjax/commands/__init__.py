"""The commands of `rnnjax`, a file each, but for `inspect`."""
