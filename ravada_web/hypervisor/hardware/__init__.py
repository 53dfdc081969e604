"""What becomes of each element of a domain that is imported: rules by element, and the findings that say so.

Here belongs what can be read in the XML alone; what only the node knows (its disks' headers) is asked by the jobs.
"""
