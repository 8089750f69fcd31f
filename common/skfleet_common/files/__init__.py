"""Files on S3: how their rows are read and written, whoever planned or asked for it."""
