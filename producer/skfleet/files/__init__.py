"""Files on S3 as the source of a job: which there are, how they are written, and where they are cut."""
