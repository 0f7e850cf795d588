"""What the gateway can be asked for, one file a subject. `gateway.service.Gateway` is all of them together."""
