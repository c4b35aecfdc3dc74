"""The harness: installs peers, runs scenarios in alternation, keeps results, writes tables and charts."""
