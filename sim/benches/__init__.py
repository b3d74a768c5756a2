"""cocotb benches: our gateware against bus models that others wrote, on Verilator."""
