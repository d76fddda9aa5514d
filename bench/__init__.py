"""What is measured: trials planned, run, recorded and tabulated. Sees tables, never one entry."""
