"""What an analysis looks at: accessibility, contrast, motion, SEO, technologies ..."""
